import { base64url, type CryptoKey, exportJWK, generateKeyPair } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import { limits } from "../protocol/index.ts";
import { PublicKeySet } from "./key-set.ts";
import {
  signTicket,
  type TicketClaims,
  type TicketExpectations,
  type TicketKeyResolver,
  ticketType,
  verifyTicket,
} from "./ticket.ts";

const now = 1_800_000_000;

const claims: TicketClaims = {
  iss: "https://master.example",
  aud: "cluster-1",
  sub: "player-1",
  jti: "AAAAAAAAAAAAAAAAAAAAAA",
  iat: now,
  nbf: now,
  exp: now + 60,
  game: "demo",
  proto: { min: 1, max: 1 },
  boot: 7,
  gen: 3,
  rsv: "reservation-1",
  frag: "",
  name: "Ada",
};

const expectations: TicketExpectations = {
  issuer: "https://master.example",
  clusterId: "cluster-1",
  game: "demo",
  boot: 7,
  versions: { min: 1, max: 1 },
  maxLifetimeSeconds: 300,
  now,
};

const header = { alg: "ES256", typ: ticketType, kid: "k1" };

let privateKey: CryptoKey;
let publicKey: CryptoKey;
let foreignKey: CryptoKey;

beforeAll(async () => {
  ({ privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true }));
  ({ privateKey: foreignKey } = await generateKeyPair("ES256"));
});

const resolveKey: TicketKeyResolver = async (kid) => (kid === "k1" ? publicKey : undefined);

/** A JWS with any header and payload, and an ES256 signature over them, whatever the header says. */
async function forge(options: {
  header?: object;
  payload?: unknown;
  payloadText?: string;
  key?: CryptoKey;
}): Promise<string> {
  const payloadText = options.payloadText ?? JSON.stringify(options.payload ?? claims);
  const input = `${base64url.encode(JSON.stringify(options.header ?? header))}.${base64url.encode(payloadText)}`;
  const algorithm = { name: "ECDSA", hash: "SHA-256" };
  const bytes = new TextEncoder().encode(input);
  const signature = await crypto.subtle.sign(algorithm, options.key ?? privateKey, bytes);
  return `${input}.${base64url.encode(new Uint8Array(signature))}`;
}

async function verify(ticket: string, changed: Partial<TicketExpectations> = {}): Promise<unknown> {
  const verdict = await verifyTicket(ticket, resolveKey, { ...expectations, ...changed });
  return verdict.ok ? "ok" : verdict.fault;
}

async function verifyClaims(changed: object, expected: Partial<TicketExpectations> = {}): Promise<unknown> {
  return verify(await forge({ payload: { ...claims, ...changed } }), expected);
}

describe("a good ticket", () => {
  it("comes back with the claims that were signed", async () => {
    const ticket = await signTicket(claims, { kid: "k1", key: privateKey });
    expect(await verifyTicket(ticket, resolveKey, expectations)).toEqual({ ok: true, claims });
  });

  it("loses claims that are not a ticket's", async () => {
    const ticket = await forge({ payload: { ...claims, admin: true } });
    expect(await verifyTicket(ticket, resolveKey, expectations)).toEqual({ ok: true, claims });
  });

  it("verifies with a key from a published set", async () => {
    const keys = new PublicKeySet({
      fetchKeys: async () => ({ keys: [{ ...(await exportJWK(publicKey)), kid: "k1", alg: "ES256", use: "sig" }] }),
      algorithms: ["ES256"],
      refetchIntervalMs: 10_000,
      maxAgeMs: 600_000,
      now: () => 0,
    });
    const ticket = await signTicket(claims, { kid: "k1", key: privateKey });
    const verdict = await verifyTicket(ticket, async (kid) => keys.resolve(kid), expectations);
    expect(verdict.ok).toBe(true);
  });
});

describe("[TICKET-1] form", () => {
  it("[TICKET-1] takes 2,048 bytes and refuses 2,049", async () => {
    // Not every length can be had by the payload alone (base64url leaves some out), so the header is grown as well.
    const sized = async (length: number): Promise<string> => {
      const name = "n".repeat(1_000);
      for (let padding = 0; padding < 400; padding++) {
        for (const pad of ["", "p", "pp"]) {
          const payload = { ...claims, name: name + "n".repeat(padding) };
          const ticket = await forge({ header: { ...header, pad }, payload });
          if (ticket.length === length) return ticket;
        }
      }
      throw new Error(`no ticket of ${length} bytes`);
    };
    expect(await verify(await sized(limits.maxTicketBytes))).toBe("ok");
    expect(await verify(await sized(limits.maxTicketBytes + 1))).toBe("MALFORMED");
  });

  it("[TICKET-1] asks for no key for a ticket that is too long", async () => {
    let asked = 0;
    const counting: TicketKeyResolver = async () => {
      asked++;
      return publicKey;
    };
    const long = await forge({ payload: { ...claims, name: "n".repeat(2_000) } });
    expect(await verifyTicket(long, counting, expectations)).toMatchObject({ ok: false, silent: true });
    expect(asked).toBe(0);
  });

  it("[SEC-1] [TICKET-1] is refused by the signer when it would be too long", async () => {
    const signingKey = { kid: "k1", key: privateKey };
    await expect(signTicket({ ...claims, name: "n".repeat(2_000) }, signingKey)).rejects.toThrow(RangeError);
  });

  it.each([
    "",
    ".",
    "..",
    "...",
    "a.b",
    "a.b.c.d",
    "a..c",
    "a.b.",
    ".b.c",
    "not a ticket",
    "ä.b.c",
    "a.b.c=",
    " a.b.c",
  ])("[TICKET-1] refuses %j", async (text) => {
    expect(await verify(text)).toBe("MALFORMED");
  });

  it("[TICKET-1] refuses a good ticket with anything before, after or within it", async () => {
    const ticket = await forge({});
    for (const text of [` ${ticket}`, `${ticket}\n`, `${ticket}.`, `${ticket}.AAAA`, ticket.replace(".", " .")]) {
      expect(await verify(text)).toBe("MALFORMED");
    }
  });

  it("[TICKET-1] refuses a header that is not a JSON object", async () => {
    const [, payload, signature] = (await forge({})).split(".");
    for (const text of ["", "{", "[]", "null", '"ES256"', "1", "\u00ff"]) {
      expect(await verify(`${base64url.encode(text)}.${payload}.${signature}`)).toBe("MALFORMED");
    }
  });
});

describe("[TICKET-2] header", () => {
  it.each(["none", "None", "HS256", "ES384", "ES512", "EdDSA", "Ed25519", "RS256", "PS256", "es256", "", 256, null])(
    "[TICKET-2] refuses alg %j",
    async (alg) => {
      expect(await verify(await forge({ header: { ...header, alg } }))).toBe("BAD_HEADER");
    },
  );

  it("[TICKET-2] refuses alg none without a signature, as MALFORMED", async () => {
    const [, payload] = (await forge({})).split(".");
    const none = base64url.encode(JSON.stringify({ ...header, alg: "none" }));
    expect(await verify(`${none}.${payload}.`)).toBe("MALFORMED");
    expect(await verify(`${none}.${payload}.AA`)).toBe("BAD_HEADER");
  });

  it("[TICKET-2] refuses a ticket that was signed with the public key as an HMAC secret", async () => {
    const secret = new TextEncoder().encode(JSON.stringify(await exportJWK(publicKey)));
    const hmac = { name: "HMAC", hash: "SHA-256" };
    const key = await crypto.subtle.importKey("raw", secret, hmac, false, ["sign"]);
    const forgedHeader = base64url.encode(JSON.stringify({ ...header, alg: "HS256" }));
    const input = `${forgedHeader}.${base64url.encode(JSON.stringify(claims))}`;
    const signature = new Uint8Array(await crypto.subtle.sign(hmac, key, new TextEncoder().encode(input)));
    expect(await verify(`${input}.${base64url.encode(signature)}`)).toBe("BAD_HEADER");
  });

  it.each([undefined, "JWT", "at+jwt", "sustenet-cluster+jwt", `${ticketType} `, "SUSTENET-TICKET+JWT", 1])(
    "[TICKET-2] refuses typ %j",
    async (typ) => {
      expect(await verify(await forge({ header: { ...header, typ } }))).toBe("BAD_HEADER");
    },
  );

  it.each([undefined, "", 1, null, ["k1"]])("[TICKET-2] refuses kid %j", async (kid) => {
    expect(await verify(await forge({ header: { ...header, kid } }))).toBe("BAD_HEADER");
  });

  it.each(["jku", "x5u", "x5c", "jwk", "crit"])("[TICKET-2] refuses %s, whatever it holds", async (name) => {
    for (const value of ["https://evil.example/jwks.json", [], null, { kty: "EC" }]) {
      expect(await verify(await forge({ header: { ...header, [name]: value } }))).toBe("BAD_HEADER");
    }
  });

  it("[TICKET-2] refuses a key that the ticket brings along", async () => {
    const foreign = await generateKeyPair("ES256", { extractable: true });
    const jwk = await exportJWK(foreign.publicKey);
    expect(await verify(await forge({ header: { ...header, jwk }, key: foreign.privateKey }))).toBe("BAD_HEADER");
  });
});

describe("[TICKET-3] signature", () => {
  it("[TICKET-3] refuses an unknown kid", async () => {
    expect(await verify(await forge({ header: { ...header, kid: "k2" } }))).toBe("UNKNOWN_KEY");
    expect(await verify(await forge({ header: { ...header, kid: "__proto__" } }))).toBe("UNKNOWN_KEY");
  });

  it("[TICKET-3] refuses the signature of another key", async () => {
    expect(await verify(await forge({ key: foreignKey }))).toBe("BAD_SIGNATURE");
  });

  it("[TICKET-3] refuses other claims under a genuine signature", async () => {
    const [head, , signature] = (await forge({})).split(".");
    const payload = base64url.encode(JSON.stringify({ ...claims, sub: "player-2" }));
    expect(await verify(`${head}.${payload}.${signature}`)).toBe("BAD_SIGNATURE");
  });

  it("[TICKET-3] refuses a truncated, padded or absent signature", async () => {
    const ticket = await forge({});
    const cut = ticket.lastIndexOf(".") + 1;
    for (const text of [ticket.slice(0, -1), ticket.slice(0, -4), ticket.slice(0, cut + 2), `${ticket}AA`]) {
      expect(await verify(text)).toBe("BAD_SIGNATURE");
    }
    expect(await verify(ticket.slice(0, cut))).toBe("MALFORMED");
  });

  it("[TICKET-3] refuses a signature of zeros", async () => {
    const ticket = await forge({});
    const zeros = base64url.encode(new Uint8Array(64));
    expect(await verify(ticket.slice(0, ticket.lastIndexOf(".") + 1) + zeros)).toBe("BAD_SIGNATURE");
  });

  it("[TICKET-3] refuses a ticket in which any one byte was changed", async () => {
    const ticket = await forge({});
    for (let index = 0; index < ticket.length; index += 7) {
      const other = ticket[index] === "A" ? "B" : "A";
      const changed = ticket.slice(0, index) + other + ticket.slice(index + 1);
      expect(await verify(changed), `byte ${index}`).not.toBe("ok");
    }
  });
});

describe("[TICKET-4] claims", () => {
  it.each([
    ["iss", "https://other.example"],
    ["iss", "https://master.example/"],
    ["iss", undefined],
    ["iss", ["https://master.example"]],
    ["aud", "cluster-2"],
    ["aud", ["cluster-1"]],
    ["aud", ["cluster-1", "cluster-2"]],
    ["aud", { "cluster-1": true }],
    ["aud", 1],
    ["aud", undefined],
    ["game", "other"],
    ["game", undefined],
    ["sub", ""],
    ["sub", 1],
    ["sub", undefined],
    ["jti", "15-characters-x"],
    ["jti", undefined],
    ["iat", "1800000000"],
    ["iat", undefined],
    ["nbf", null],
    ["exp", undefined],
    ["exp", "never"],
    ["proto", undefined],
    ["proto", 1],
    ["proto", [1, 1]],
    ["proto", { min: 1 }],
    ["proto", { min: 2, max: 1 }],
    ["proto", { min: -1, max: 1 }],
    ["boot", "7"],
    ["boot", 7.5],
    ["boot", -7],
    ["gen", undefined],
    ["gen", 2 ** 53],
    ["rsv", ""],
    ["rsv", undefined],
    ["frag", undefined],
    ["name", 1],
  ])("[TICKET-4] refuses %s %j", async (name, value) => {
    expect(await verifyClaims({ [name]: value })).toBe("WRONG_TICKET");
  });

  it("[TICKET-12] passes on the name of the request, and leaves out what is none", async () => {
    const claimsWith = async (req: unknown) => {
      const verdict = await verifyTicket(await forge({ payload: { ...claims, req } }), resolveKey, expectations);
      return verdict.ok ? verdict.claims : verdict.fault;
    };
    for (const req of ["request-17.b_C", "x".repeat(8), "x".repeat(64)]) {
      expect(await claimsWith(req)).toEqual({ ...claims, req });
    }
    for (const req of [undefined, "", "short", "x".repeat(7), "x".repeat(65), "line\nbreaks", 12345678, null, {}]) {
      expect(await claimsWith(req)).toEqual(claims);
    }
  });

  it("[TICKET-4] takes a jti of 16 characters", async () => {
    expect(await verifyClaims({ jti: "16-characters-xx" })).toBe("ok");
  });

  it.each(["", "{", "[]", "null", '"text"', '{"exp":1e999}'])("[TICKET-4] refuses the payload %j", async (text) => {
    const expected = text === "" ? "MALFORMED" : "WRONG_TICKET";
    expect(await verify(await forge({ payloadText: text }))).toBe(expected);
  });

  it("[TICKET-4] refuses a time that is infinite", async () => {
    const text = JSON.stringify(claims).replace(`"exp":${now + 60}`, '"exp":1e999');
    expect(await verify(await forge({ payloadText: text }))).toBe("WRONG_TICKET");
  });
});

describe("[TICKET-5] version", () => {
  it.each([
    [{ min: 1, max: 1 }, { min: 1, max: 1 }, "ok"],
    [{ min: 2, max: 3 }, { min: 1, max: 2 }, "ok"],
    [{ min: 1, max: 2 }, { min: 2, max: 3 }, "ok"],
    [{ min: 2, max: 3 }, { min: 1, max: 1 }, "VERSION_UNSUPPORTED"],
    [{ min: 1, max: 1 }, { min: 2, max: 3 }, "VERSION_UNSUPPORTED"],
    [{ min: 1, max: 1 }, undefined, "VERSION_UNSUPPORTED"],
  ])("[TICKET-5] ticket %j, both sides %j: %s", async (proto, versions, result) => {
    expect(await verifyClaims({ proto }, { versions })).toBe(result);
  });
});

describe("[TICKET-6] boot", () => {
  it.each([6, 8])("[TICKET-6] refuses epoch %i when it is 7", async (boot) => {
    expect(await verifyClaims({ boot })).toBe("STALE_BOOT");
  });
});

describe("[TICKET-7] times", () => {
  it("[TICKET-7] allows nbf 5 s ahead and no more", async () => {
    const dated = (ahead: number) => ({ nbf: now + ahead, exp: now + 60 });
    expect(await verifyClaims(dated(5))).toBe("ok");
    expect(await verifyClaims(dated(5.001))).toBe("NOT_YET_VALID");
  });

  it("[TICKET-7] allows iat 5 s ahead and no more, so that the lifetime counts from now", async () => {
    expect(await verifyClaims({ iat: now + 5, exp: now + 60 })).toBe("ok");
    expect(await verifyClaims({ iat: now + 6, exp: now + 60 })).toBe("NOT_YET_VALID");
    expect(await verifyClaims({ iat: now + 1_000_000, exp: now + 1_000_060 })).toBe("NOT_YET_VALID");
  });

  it("[TICKET-7] allows 5 s after exp and no more", async () => {
    expect(await verifyClaims({}, { now: now + 65 })).toBe("ok");
    expect(await verifyClaims({}, { now: now + 65.001 })).toBe("EXPIRED");
  });

  it("[TICKET-7] bounds the lifetime on both sides", async () => {
    expect(await verifyClaims({ exp: now + 300 })).toBe("ok");
    expect(await verifyClaims({ exp: now + 301 })).toBe("WRONG_TICKET");
    expect(await verifyClaims({ exp: now + 1 })).toBe("ok");
    expect(await verifyClaims({ exp: now })).toBe("WRONG_TICKET");
    expect(await verifyClaims({ exp: now - 1 })).toBe("WRONG_TICKET");
    expect(await verifyClaims({ exp: now + 61 }, { maxLifetimeSeconds: 60 })).toBe("WRONG_TICKET");
  });
});

describe("order", () => {
  /** Every fault, in the order of the checks, each as a change to the ticket or to what is expected. */
  const faults: readonly {
    readonly result: string;
    readonly header?: object;
    readonly payload?: object;
    readonly foreign?: true;
  }[] = [
    { result: "MALFORMED", payload: { name: "n".repeat(2_000) } },
    { result: "BAD_HEADER", header: { typ: "JWT" } },
    { result: "UNKNOWN_KEY", header: { kid: "k2" } },
    { result: "BAD_SIGNATURE", foreign: true },
    { result: "WRONG_TICKET", payload: { aud: "cluster-2" } },
    { result: "VERSION_UNSUPPORTED", payload: { proto: { min: 9, max: 9 } } },
    { result: "STALE_BOOT", payload: { boot: 6 } },
    { result: "NOT_YET_VALID", payload: { nbf: now + 100 } },
    { result: "EXPIRED", payload: { exp: now - 100 } },
  ];

  const pairs = faults.flatMap((first, index) => faults.slice(index + 1).map((second) => ({ first, second })));

  it.each(pairs)("reports $first.result before $second.result", async ({ first, second }) => {
    const ticket = await forge({
      header: { ...header, ...second.header, ...first.header },
      payload: { ...claims, ...second.payload, ...first.payload },
      key: (first.foreign ?? second.foreign) === undefined ? privateKey : foreignKey,
    });
    expect(await verify(ticket)).toBe(first.result);
  });

  it("[JOIN-4] is silent until the signature holds, and speaks from then on", async () => {
    for (const fault of faults) {
      const ticket = await forge({
        header: { ...header, ...fault.header },
        payload: { ...claims, ...fault.payload },
        key: fault.foreign === undefined ? privateKey : foreignKey,
      });
      const verdict = await verifyTicket(ticket, resolveKey, expectations);
      const silent = ["MALFORMED", "BAD_HEADER", "UNKNOWN_KEY", "BAD_SIGNATURE"].includes(fault.result);
      expect(verdict).toMatchObject({ ok: false, silent, fault: fault.result });
    }
  });

  it("[SEC-2] says in no detail what the ticket holds", async () => {
    for (const fault of faults) {
      const ticket = await forge({
        header: { ...header, ...fault.header },
        payload: { ...claims, sub: "secret-player", ...fault.payload },
        key: fault.foreign === undefined ? privateKey : foreignKey,
      });
      const verdict = await verifyTicket(ticket, resolveKey, expectations);
      const detail = verdict.ok ? "" : verdict.detail;
      expect(detail).not.toContain("secret-player");
      for (const segment of ticket.split(".")) expect(detail).not.toContain(segment);
    }
  });
});
