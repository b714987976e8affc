// Puts panels.jsx, board.json and Grafana's packages into one script: node build.mjs FOLDER.
import { build } from 'esbuild';

await build({
  entryPoints: ['panels.jsx'],
  outfile: `${process.argv[2]}/panels.js`,
  bundle: true,
  format: 'iife',
  jsx: 'automatic',
  define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
  loader: { '.svg': 'text', '.woff': 'dataurl', '.woff2': 'dataurl', '.ttf': 'dataurl' },
  logLevel: 'error',
});
