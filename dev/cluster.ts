/** A cluster process of the local stack: the example world, which also ends when its parent does. */
process.on("disconnect", () => process.kill(process.pid, "SIGTERM"));
await import("../examples/world/cluster.ts");
