import { describe, expect, it } from "vitest";
import {
  judgeInput,
  maxPastTenures,
  openStreams,
  resumeStreams,
  type Streams,
  withAcknowledgement,
  withTenure,
} from "./streams.ts";

/** Streams of tenure 10 with three inputs applied and outputs "a", "b", "c" made, of which "a" is acknowledged. */
function played(): Streams<string> {
  return withAcknowledgement({ ...openStreams(10), lastInput: 3, lastOutput: 3, unacknowledged: ["a", "b", "c"] }, 1);
}

describe("the cluster's end of the streams", () => {
  it("[HAND-9] applies each input once and in order", () => {
    const streams = played();
    expect(judgeInput(streams, 3)).toBe("duplicate");
    expect(judgeInput(streams, 4)).toBe("next");
    expect(judgeInput(streams, 5)).toBe("gap");
  });

  it("keeps an output until it is acknowledged, and ignores acknowledgements that make no sense", () => {
    expect(played().unacknowledged).toEqual(["b", "c"]);
    expect(withAcknowledgement(played(), 0)).toEqual(played());
    expect(withAcknowledgement(played(), 4)).toEqual(played());
    expect(withAcknowledgement(played(), 3).unacknowledged).toEqual([]);
  });

  it("[HAND-10] sends a client that comes back what it has missed, and no more", () => {
    const back = resumeStreams(played(), { tenure: 10, received: 2, acknowledged: 3 });
    expect(back).toMatchObject({ continues: true, replay: [{ sequence: 3, body: "c" }] });
  });

  it("[HAND-10] carries a client of an earlier tenure on, as far as that tenure went", () => {
    const streams = { ...withTenure(played(), 11), lastOutput: 4, unacknowledged: ["b", "c", "d"] };
    const back = resumeStreams(streams, { tenure: 10, received: 3, acknowledged: 3 });
    expect(back).toMatchObject({ continues: true, replay: [{ sequence: 4, body: "d" }] });
    // It has seen an output 4 that is not "d": of a history that is lost.
    expect(resumeStreams(streams, { tenure: 10, received: 4, acknowledged: 3 })).toEqual({ continues: false });
    expect(resumeStreams(streams, { tenure: 10, received: 3, acknowledged: 4 })).toEqual({ continues: false });
    expect(resumeStreams(streams, { tenure: 11, received: 4, acknowledged: 3 })).toMatchObject({ continues: true });
  });

  it("[HAND-10] does not carry on a client of a tenure that is not part of this history", () => {
    expect(resumeStreams(played(), { tenure: 9, received: 1, acknowledged: 0 })).toEqual({ continues: false });
  });

  it("[HAND-10] does not carry on a client that has missed what is no longer kept", () => {
    expect(resumeStreams(played(), { tenure: 10, received: 0, acknowledged: 0 })).toEqual({ continues: false });
  });

  it("[HAND-15] remembers a bounded number of earlier tenures", () => {
    let streams = played();
    for (let tenure = 11; tenure < 11 + maxPastTenures; tenure += 1) streams = withTenure(streams, tenure);
    const position = { tenure: 10, received: 3, acknowledged: 3 };
    expect(resumeStreams(streams, position)).toMatchObject({ continues: true });
    expect(resumeStreams(withTenure(streams, 99), position)).toEqual({ continues: false });
  });
});
