/** A cluster process of the local stack: the echo example, which also ends when its parent does. */
process.on("disconnect", () => process.kill(process.pid, "SIGTERM"));
await import("../examples/echo/cluster.ts");
