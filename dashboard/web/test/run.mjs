// Bundles each test with the sources it tests, then hands them to Node's own runner.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

// Inside the folder of the sources, so that packages are found from there.
const out = mkdtempSync(join(import.meta.dirname, ".built-"));
const tests = readdirSync(import.meta.dirname).filter((name) => name.endsWith(".test.ts"));
await build({
  entryPoints: tests.map((name) => join(import.meta.dirname, name)),
  outdir: out,
  bundle: true,
  format: "esm",
  platform: "node",
  packages: "external",
  outExtension: { ".js": ".mjs" },
  logLevel: "warning",
});
const { status } = spawnSync(process.execPath, ["--test", ...tests.map((name) => join(out, name.replace(".ts", ".mjs")))], { stdio: "inherit" });
rmSync(out, { recursive: true, force: true });
process.exit(status ?? 1);
