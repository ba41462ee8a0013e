// Two build plugins: NOTICES.txt with the licences of what is bundled, and manifest.json, by which
// freshness.py tells whether the committed bundle belongs to these sources.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";

const HERE = import.meta.dirname;
const ALSO = ["bundle.js", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts"];
const LICENCE_FILES = ["LICENSE", "LICENSE.md", "LICENSE.txt", "license"];

/** Collects the packages that end up in the bundle and writes their licences beside it. */
export function notices() {
  const packages = new Map();
  return {
    name: "notices",
    generateBundle(_options, bundle) {
      for (const chunk of Object.values(bundle)) {
        if (chunk.type === "chunk") for (const id of chunk.moduleIds) remember(id, packages);
      }
      remember(resolve(HERE, "node_modules/@dagrejs/dagre/package.json"), packages);
      remember(resolve(HERE, "node_modules/@dagrejs/graphlib/package.json"), packages);
      const parts = [...packages.entries()]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, { version, license, text }]) => `${name} ${version} (${license})\n\n${text.trim()}\n`);
      this.emitFile({
        type: "asset",
        fileName: "NOTICES.txt",
        source: `The canvas contains these packages.\n\n${parts.join(`\n${"-".repeat(80)}\n\n`)}`,
      });
    },
  };
}

/** Writes manifest.json: what to load, and the hashes of sources and outputs. */
export function manifest() {
  let folder = "";
  return {
    name: "manifest",
    configResolved(config) {
      folder = resolve(config.root, config.build.outDir);
    },
    closeBundle: {
      order: "post",
      handler() {
        if (!existsSync(folder)) return;
        const names = readdirSync(folder)
          .filter((name) => name !== "manifest.json")
          .sort();
        const content = {
          script: names.find((name) => /^canvas-.*\.js$/.test(name)),
          style: names.find((name) => name.endsWith(".css")),
          node: process.versions.node.split(".")[0],
          sources_sha256: sourcesHash(),
          files: Object.fromEntries(names.map((name) => [name, sha256(readFileSync(join(folder, name)))])),
        };
        writeFileSync(join(folder, "manifest.json"), `${JSON.stringify(content, null, 2)}\n`);
      },
    },
  };
}

function sourcesHash() {
  const sources = readdirSync(join(HERE, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(HERE, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .filter((path) => !path.endsWith(".test.ts"));
  const lines = [...sources, ...ALSO]
    .sort()
    .map((path) => `${path} ${sha256(readFileSync(join(HERE, path)))}\n`);
  return sha256(lines.join(""));
}

function sha256(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

function remember(id, packages) {
  const path = id.replace(/^\0/, "").split("?")[0] ?? "";
  if (!path.includes("node_modules")) return;
  for (let folder = dirname(path); !folder.endsWith("node_modules"); folder = dirname(folder)) {
    const file = join(folder, "package.json");
    if (!existsSync(file)) continue;
    const { name, version, license } = JSON.parse(readFileSync(file, "utf8"));
    if (!name || !version) continue;
    const found = LICENCE_FILES.map((licence) => join(folder, licence)).find((at) => existsSync(at));
    packages.set(name, { version, license, text: found ? readFileSync(found, "utf8") : "" });
    return;
  }
}
