/** `npm run clean`: wipes the state of the local stack. */
import { rmSync } from "node:fs";
import { join } from "node:path";

const folder = join(import.meta.dirname, "..", ".sustenet");
rmSync(folder, { recursive: true, force: true });
console.log(`wiped ${folder}`);
