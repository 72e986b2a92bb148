// node build.mjs FOLDER OUT: a component of app.js, by the componentize-js in FOLDER.
import { writeFileSync } from "node:fs";

const [folder, out] = process.argv.slice(2);
const { componentize } = await import(`${folder}/src/componentize.js`);
const made = await componentize({ sourcePath: "app.js", witPath: "world.wit", worldName: "guest" });
writeFileSync(out, made.component);
