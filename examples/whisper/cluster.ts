import { start } from "../../data-plane/index.ts";
import { Whispers } from "./plugin.ts";

await start(new Whispers());
