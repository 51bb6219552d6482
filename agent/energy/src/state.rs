//! Off, standby, idle, running: told apart by power.
