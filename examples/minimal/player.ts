import { createClient } from "sustenet/client";

process.once("uncaughtException", ({ message }) => {
  console.error(message);
  process.exit(1);
});

const client = createClient({ masterUrl: "http://127.0.0.1:6256" });
await client.login({ anonymous: true, displayName: "Ada" });
const session = await client.join();
console.log(`Joined ${session.welcome.cluster}`);

const answer = Promise.withResolvers<number>();
session.on("message", ({ command }) => answer.resolve(command));
session.move({ x: 1, y: 0, z: 2, heading: 0 });
const passphrase = new TextEncoder().encode("open sesame");
session.send(1, Uint8Array.of(passphrase.length, ...passphrase));
console.log(`The cluster answered with command ${await answer.promise}`);
await session.leave();
