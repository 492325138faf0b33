import { start } from "../../data-plane/index.ts";
import { echo } from "../echo/plugin.ts";
import { Wisps } from "./plugin.ts";

await start([new Wisps(), echo]);
