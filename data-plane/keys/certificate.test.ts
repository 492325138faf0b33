import { createHash, X509Certificate } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSecureContext } from "node:tls";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { certificateName, ensureCertificate } from "./certificate.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "sustenet-"));
});
afterEach(() => rm(dir, { recursive: true }));

const now = new Date("2030-06-01T00:00:00Z");
const dayMs = 86_400_000;

describe("ensureCertificate", () => {
  it("makes a self-signed P-256 certificate that is no CA, backdated and long-lived", async () => {
    const made = await ensureCertificate(dir, "k", "key-id", now);
    const certificate = new X509Certificate(made.certificatePem);
    expect(certificate.ca).toBe(false);
    expect(certificate.publicKey.asymmetricKeyDetails?.namedCurve).toBe("prime256v1");
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.subjectAltName).toBe(`DNS:${made.serverName}`);
    expect(certificate.checkHost(made.serverName)).toBe(made.serverName);
    expect(certificate.validFromDate.getTime()).toBeLessThan(now.getTime() - 300 * dayMs);
    expect(certificate.validToDate.getTime()).toBeGreaterThan(now.getTime() + 3_000 * dayMs);
    expect(made.sha256).toBe(createHash("sha256").update(certificate.raw).digest("hex"));
    expect(() => createSecureContext({ key: made.keyPem, cert: made.certificatePem })).not.toThrow();
  });

  it("has a name that is stable for the key, and can never be in DNS", () => {
    expect(certificateName("a")).toBe(certificateName("a"));
    expect(certificateName("a")).not.toBe(certificateName("b"));
    expect(certificateName("A_-")).toMatch(/^[0-9a-f]{20}\.cluster\.sustenet\.invalid$/);
  });

  it("keeps it for its owner only, and shows the same one at the next start", async () => {
    const made = await ensureCertificate(dir, "k", "key-id", now);
    expect(await readdir(dir)).toEqual(["k.tls.pem"]);
    expect((await stat(join(dir, "k.tls.pem"))).mode & 0o777).toBe(0o600);
    expect(await ensureCertificate(dir, "k", "key-id", new Date(now.getTime() + 1_000 * dayMs))).toEqual(made);
  });

  it("makes a new one when it is about to expire, and for another cluster key", async () => {
    const made = await ensureCertificate(dir, "k", "key-id", now);
    const late = await ensureCertificate(dir, "k", "key-id", new Date(made.expiresAt.getTime() - 29 * dayMs));
    expect(late.sha256).not.toBe(made.sha256);
    const other = await ensureCertificate(dir, "k", "other-key", now);
    expect(other.serverName).toBe(certificateName("other-key"));
  });

  it("is one for all processes that start at once and share the folder", async () => {
    const made = await Promise.all(Array.from({ length: 4 }, () => ensureCertificate(dir, "k", "key-id", now)));
    expect(await readdir(dir)).toEqual(["k.tls.pem"]);
    const kept = await ensureCertificate(dir, "k", "key-id", now);
    expect(made).toEqual([kept, kept, kept, kept]);
  });

  it("refuses a file that is something else, and does not overwrite it", async () => {
    await writeFile(join(dir, "k.tls.pem"), "hello");
    await expect(ensureCertificate(dir, "k", "key-id", now)).rejects.toMatchObject({ code: "CERTIFICATE_UNREADABLE" });
    expect(await readFile(join(dir, "k.tls.pem"), "utf8")).toBe("hello");
  });
});
