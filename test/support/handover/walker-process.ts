/** A walker in a process of its own, so that it can be killed: `walker-process.ts MASTER_URL CLUSTER_ID`. */
import { Walker } from "./walker.ts";

const [masterUrl = "", clusterId = ""] = process.argv.slice(2);
process.on("disconnect", () => process.exit(0));
const walker = new Walker();
await walker.join(masterUrl, clusterId);
process.send?.({ playerId: walker.playerId });
