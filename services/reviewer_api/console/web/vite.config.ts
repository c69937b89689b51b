import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

// `CONSOLE_OUT` is the folder that the reviewer API serves. Nothing is inlined: the CSP allows files of ours only.
export default defineConfig({
  plugins: [react()],
  build: {
    outDir: process.env.CONSOLE_OUT ?? 'dist',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2022',
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
  },
})
