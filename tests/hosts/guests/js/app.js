// Does a little of everything, and prints what error each step met.
import { getEnvironment } from "wasi:cli/environment@0.2.0";
import { getDirectories } from "wasi:filesystem/preopens@0.2.0";

async function attempt(name, work) {
  try {
    await work();
    console.log(`${name}: ok`);
  } catch (error) {
    console.log(`${name}: ${error.constructor.name}: ${error.message}`);
  }
}

async function main() {
  const peer = new Map(getEnvironment()).get("PEER");
  console.log(`environment: ${peer !== undefined}`);
  const [[root]] = getDirectories();
  await attempt("open", () => root.openAt({}, "note.txt", { create: true }, { read: true, write: true }));
  await attempt("mkdir", () => root.createDirectoryAt("folder"));
  await attempt("list", () => root.readDirectory());
  await attempt("rename", () => root.renameAt("note.txt", root, "other.txt"));
  await attempt("remove", () => root.unlinkFileAt("other.txt"));
  await attempt("rmdir", () => root.removeDirectoryAt("folder"));
  await attempt("request", async () => (await fetch(`http://${peer}/`)).status);
}

export const run = { run: main };
