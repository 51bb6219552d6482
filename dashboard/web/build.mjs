// Builds the page into dist/, which is committed: the agent embeds it, and building the agent needs no Node.
// Same sources, same bytes. `--check-types` only compares the generated types with the API's contract.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

/** Compressed script and style together: what a phone on a weak network loads within a second. */
const BUDGET_BYTES = 60_000;

if (process.argv.includes("--check-types")) {
  const made = execFileSync(process.execPath, ["node_modules/openapi-typescript/bin/cli.js", "../../agent/openapi.json"], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  if (made.trim() !== readFileSync("src/api.gen.ts", "utf8").trim()) {
    console.error("src/api.gen.ts does not match agent/openapi.json: run `npm run types`");
    process.exit(1);
  }
  process.exit(0);
}

rmSync("dist", { recursive: true, force: true });
const { metafile } = await build({
  entryPoints: { page: "src/main.tsx", icon: "src/icon.svg" },
  outdir: "dist",
  entryNames: "assets/[name]-[hash]",
  bundle: true,
  format: "esm",
  target: ["es2020", "chrome90", "firefox90", "safari15"],
  jsx: "automatic",
  jsxImportSource: "preact",
  loader: { ".svg": "copy" },
  minify: true,
  legalComments: "none",
  metafile: true,
});
const named = (ending) => {
  const file = Object.keys(metafile.outputs).find((name) => name.endsWith(ending));
  return file.slice("dist/".length);
};
const [script, style, icon] = [named(".js"), named(".css"), named(".svg")];
writeFileSync(
  "dist/index.html",
  `<!doctype html>
<html lang="ko">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light">
<title>Wattwarden</title>
<link rel="icon" href="/${icon}" type="image/svg+xml">
<link rel="stylesheet" href="/${style}">
<script type="module" src="/${script}"></script>
</head>
<body>
<div id="app"></div>
<noscript>이 화면에는 JavaScript가 필요합니다. 보고서는 없이도 열립니다: / This page needs JavaScript. The report opens without: <a href="/api/v1/report">/api/v1/report</a></noscript>
</body>
</html>
`,
);
const bytes = [script, style].map((name) => gzipSync(readFileSync(`dist/${name}`), { level: 9 }).length);
const total = bytes[0] + bytes[1];
console.log(`script ${bytes[0]} B, style ${bytes[1]} B, together ${total} of ${BUDGET_BYTES} B compressed`);
if (total > BUDGET_BYTES) {
  console.error("the page is larger than its budget");
  process.exit(1);
}
