import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type LinkTell, mailsPerSecond, maxMailBurst } from "../../protocol/index.ts";
import { mailAnswerMs, MailDesk } from "./mail-desk.ts";

let nowMs = 0;
let sent: LinkTell[] = [];
const payload = Uint8Array.of(1, 2, 255);

beforeEach(() => {
  vi.useFakeTimers();
  nowMs = 0;
  sent = [];
});
afterEach(() => vi.useRealTimers());

function openDesk(): MailDesk {
  const desk = new MailDesk(() => nowMs);
  desk.open((tell) => void sent.push(tell));
  return desk;
}

describe("mail on its way to the master", () => {
  it("is sent once, and tells what has become of it", async () => {
    const desk = openDesk();
    const [first, second] = [desk.tell("ada", 7, payload), desk.tell("bob", 8, new Uint8Array())];
    expect(sent).toEqual([
      { type: "tell", id: 1, playerId: "ada", command: 7, payload: "AQL/" },
      { type: "tell", id: 2, playerId: "bob", command: 8, payload: "" },
    ]);
    desk.told({ id: 2, outcome: "unknown" });
    desk.told({ id: 1, outcome: "sent" });
    desk.told({ id: 1, outcome: "refused" });
    desk.told({ id: 99, outcome: "sent" });
    expect(await Promise.all([first, second])).toEqual(["sent", "unknown"]);
  });

  it("[MAIL-3] is refused without a link, and over the rate, where it costs the master nothing", async () => {
    expect(await new MailDesk(() => nowMs).tell("ada", 1, payload)).toBe("refused");
    const desk = openDesk();
    for (let index = 0; index < maxMailBurst; index += 1) void desk.tell("ada", 1, payload);
    expect(await desk.tell("ada", 1, payload)).toBe("refused");
    expect(sent).toHaveLength(maxMailBurst);
    nowMs += 1_000 / mailsPerSecond;
    void desk.tell("ada", 1, payload);
    expect(sent).toHaveLength(maxMailBurst + 1);
  });

  it("[MAIL-1] is lost with its link, or when no answer comes, and never sent again", async () => {
    const desk = openDesk();
    const first = desk.tell("ada", 1, payload);
    expect(desk.close()).toBe(1);
    expect(await first).toBe("lost");
    expect(await desk.tell("ada", 1, payload)).toBe("refused");
    desk.open((tell) => void sent.push(tell));
    const second = desk.tell("ada", 1, payload);
    vi.advanceTimersByTime(mailAnswerMs);
    expect(await second).toBe("lost");
    expect(desk.close()).toBe(0);
    expect(sent).toHaveLength(2);
  });
});
