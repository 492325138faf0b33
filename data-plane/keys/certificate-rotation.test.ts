import { beforeEach, describe, expect, it } from "vitest";
import type { Certificate } from "./certificate.ts";
import { CertificateRotation } from "./certificate-rotation.ts";

const overlapMs = 1_000;
const year = 365 * 86_400_000;

function block(name: string, bytes = 40): string {
  return `-----BEGIN CERTIFICATE-----\n${name.padEnd(bytes, "A")}\n-----END CERTIFICATE-----`;
}

function certificate(name: string, expiresInMs = year, blocks = [block(name)]): Certificate {
  return {
    keyPem: `key of ${name}`,
    certificatePem: `${blocks.join("\n")}\n`,
    serverName: "c.example.com",
    sha256: name,
    expiresAt: new Date(expiresInMs),
  };
}

let now: number;
let announced: number;
let shown: string[];
let rotation: CertificateRotation;

function createRotation(first: Certificate): CertificateRotation {
  return new CertificateRotation({
    shown: first,
    overlapMs,
    monotonicMs: () => now,
    wallMs: () => now,
    onAnnounce: () => (announced += 1),
    onShow: ({ sha256 }) => shown.push(sha256),
  });
}

beforeEach(() => {
  now = 0;
  announced = 0;
  shown = [];
  rotation = createRotation(certificate("a"));
});

describe("CertificateRotation", () => {
  it("[TLS-6] announces the next one beside the one that is shown, and shows it an overlap after the master has it", () => {
    expect(rotation.offer(certificate("b"))).toBe("new");
    expect(announced).toBe(1);
    expect(rotation.announcement).toEqual({
      serverName: "c.example.com",
      caPem: `${block("a")}\n${block("b")}\n`,
      sha256: "a",
    });
    now = 10_000;
    rotation.check();
    expect(shown).toEqual([]);
    rotation.announced(rotation.announcement);
    now += overlapMs - 1;
    // Another registration meanwhile does not put it off.
    rotation.announced(rotation.announcement);
    rotation.check();
    expect(shown).toEqual([]);
    now += 1;
    rotation.check();
    expect(shown).toEqual(["b"]);
    expect(announced).toBe(2);
    expect(rotation.announcement).toMatchObject({ caPem: `${block("b")}\n`, sha256: "b" });
  });

  it("[TLS-6] does not take for announced what a registration did not name that was under way as it came", () => {
    const before = rotation.announcement;
    rotation.offer(certificate("b"));
    rotation.announced(before);
    now = overlapMs / 2;
    rotation.announced(rotation.announcement);
    now += overlapMs - 1;
    rotation.check();
    expect(shown).toEqual([]);
    now += 1;
    rotation.check();
    expect(shown).toEqual(["b"]);
  });

  it("does nothing about one that it knows", () => {
    expect(rotation.offer(certificate("a"))).toBe("known");
    rotation.offer(certificate("b"));
    expect(rotation.offer(certificate("b"))).toBe("known");
    expect(announced).toBe(1);
  });

  it("begins anew with a third one, and forgets the next one when the first comes back", () => {
    rotation.offer(certificate("b"));
    rotation.announced(rotation.announcement);
    now = overlapMs / 2;
    rotation.offer(certificate("c"));
    now = overlapMs;
    rotation.check();
    rotation.announced(rotation.announcement);
    now = overlapMs * 2 - 1;
    rotation.check();
    expect(shown).toEqual([]);
    expect(rotation.offer(certificate("a"))).toBe("new");
    expect(rotation.announcement.caPem).toBe(`${block("a")}\n`);
    now = overlapMs * 10;
    rotation.check();
    expect(shown).toEqual([]);
  });

  it("does not wait with one that has expired", () => {
    rotation = createRotation(certificate("a", 500));
    rotation.offer(certificate("b"));
    now = 499;
    rotation.check();
    expect(shown).toEqual([]);
    now = 500;
    rotation.check();
    expect(shown).toEqual(["b"]);
  });

  it("names both before what they chain to, and that for as long as the master takes it", () => {
    const issuer = block("issuer", 3_000);
    rotation = createRotation(certificate("a", year, [block("a", 2_000), issuer, block("root", 3_000)]));
    rotation.offer(certificate("b", year, [block("b", 2_000), issuer]));
    const { caPem } = rotation.announcement;
    expect(caPem).toBe(`${[block("a", 2_000), block("b", 2_000), issuer].join("\n")}\n`);
    expect(caPem.length).toBeLessThanOrEqual(8_192);
  });
});
