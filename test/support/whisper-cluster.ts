/** A cluster process of the whispering example, which also ends when its parent does. */
process.on("disconnect", () => process.kill(process.pid, "SIGTERM"));
await import("../../examples/whisper/cluster.ts");
