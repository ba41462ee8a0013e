import { defineConfig } from "vitest/config";
import { manifest, notices } from "./bundle.js";

/** More rounds than usual: the editor's script has a limit (tests/unit/designer/test_bundle.py). */
const minify = { compress: { target: "es2022", maxIterations: 20, treeshake: { propertyReadSideEffects: false, unknownGlobalSideEffects: false } }, mangle: { toplevel: true }, codegen: true } as const;

// The names of the built files carry a hash of their content, so that a browser may keep them for good;
// bundle.js writes the manifest that the template tag reads.
export default defineConfig({
  base: "./",
  publicDir: false,
  plugins: [notices(), manifest()],
  build: {
    outDir: "../../static/canvas",
    emptyOutDir: true,
    target: "es2022",
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    modulePreload: false,
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    rolldownOptions: {
      onLog(level, log, write) {
        if (log.code !== "MODULE_LEVEL_DIRECTIVE") write(level, log);
      },
      input: "src/main.tsx",
      output: {
        entryFileNames: "canvas-[hash].js",
        chunkFileNames: "[name]-[hash].js",
        assetFileNames: "[name]-[hash][extname]",
        minify,
      },
    },
  },
  worker: {
    format: "es",
    rolldownOptions: { output: { entryFileNames: "[name]-[hash].js", minify } },
  },
  test: {
    environment: "node",
    include: ["src/**/*.test.ts"],
  },
});
