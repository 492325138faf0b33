import { start, type ServerPlugin } from "sustenet/cluster";

const reia: ServerPlugin = {
  name: "reia",
  onMessage(player, command, reader) {
    console.log(`Received new command: ${command}`);
    player.send(20);
    const passphrase = reader.str8();
    console.log(`The passphrase has ${passphrase.length} characters`);
  },
};

await start(reia);
