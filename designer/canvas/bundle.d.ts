import type { Plugin } from "vite";

export function notices(): Plugin;
export function manifest(): Plugin;
