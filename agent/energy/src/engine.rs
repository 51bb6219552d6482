//! Sample in → Interval, Finding out. Owns the order of the steps; its state can be written down and taken up again.
