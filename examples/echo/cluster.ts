import { start } from "../../data-plane/index.ts";
import { echo } from "./plugin.ts";

await start(echo);
