import { defineConfig } from "vitest/config";

// The names of the built files carry a hash of their content, so that a browser may keep them for good;
// freshness.py writes the manifest that the template tag reads.
export default defineConfig({
  base: "./",
  publicDir: false,
  build: {
    outDir: "../../static/canvas",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    manifest: "vite.json",
    rollupOptions: {
      input: "src/main.tsx",
      output: {
        entryFileNames: "canvas-[hash].js",
        chunkFileNames: "[name]-[hash].js",
        assetFileNames: "[name]-[hash][extname]",
      },
    },
  },
  worker: {
    format: "es",
    rollupOptions: { output: { entryFileNames: "[name]-[hash].js" } },
  },
  test: {
    environment: "node",
    include: ["src/**/*.test.ts"],
  },
});
