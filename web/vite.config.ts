import { resolve } from "node:path";
import { svelte, vitePreprocess } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";
import { rooms } from "./rooms.ts";

const here = import.meta.dirname;

export default defineConfig({
  root: here,
  base: "/",
  // Class names come from the path inside this folder, so that every machine builds the same files.
  plugins: [
    rooms(resolve(here, "src/rooms")),
    svelte({
      configFile: false,
      preprocess: vitePreprocess({ script: true }),
      compilerOptions: {
        runes: true,
        cssHash: ({ hash, css, filename }) =>
          `s-${hash(filename === "(unknown)" ? css : filename.replaceAll("\\", "/").replace(/^.*\/web\/src\//, ""))}`,
      },
    }),
  ],
  build: {
    outDir: resolve(here, "../src/danqing/interfaces/web"),
    emptyOutDir: true,
    target: "esnext",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
    // What the rooms share is one file, and so are the styles: a room is then one request more, not twenty.
    cssCodeSplit: false,
    rolldownOptions: {
      input: [resolve(here, "index.html"), resolve(here, "docs.html")],
      output: { codeSplitting: { groups: [{ name: "shared", test: /[\\/](node_modules|src[\\/]lib)[\\/]/ }] } },
    },
  },
  server: {
    host: "127.0.0.1",
    proxy: { "/api": process.env.DANQING_SERVER ?? "http://127.0.0.1:8411" },
  },
});
