import { MasterError } from "./master-client.ts";

/** What went wrong with a registration, in one line. */
export interface RegisterRefusal {
  readonly text: string;
  /** Trying again does not help until somebody has done something. */
  readonly permanent: boolean;
}

/** Says what stands in the way, and what to do about it. */
export function explainRefusal(
  error: unknown,
  about: { readonly masterUrl: string; readonly keyId: string; readonly publicKeyFile: string },
): RegisterRefusal {
  const { masterUrl, keyId, publicKeyFile } = about;
  if (!(error instanceof MasterError)) {
    const reason = error instanceof Error ? error.message : "its answer is strange";
    return { text: `${masterUrl} does not answer like a Sustenet master: ${reason}`, permanent: true };
  }
  if (error.code === "CLUSTER_KEY_UNKNOWN") {
    return {
      text:
        `the master at ${masterUrl} does not know this cluster's key ${keyId}, or has revoked it: enrol it there ` +
        `(npx sustenet enrol --public-key ${publicKeyFile} --name NAME)`,
      permanent: true,
    };
  }
  if (error.code === "ASSERTION_INVALID") {
    return {
      text:
        `the master at ${masterUrl} refuses this cluster's assertion: check that this machine's clock is right, ` +
        "and that master_url is the address that the master itself goes by",
      permanent: true,
    };
  }
  if (error.status === 0) return { text: `master unreachable at ${masterUrl}: ${error.message}`, permanent: false };
  const permanent = error.status < 500 && error.status !== 429 && error.code !== "ASSERTION_REPLAYED";
  return { text: `the master at ${masterUrl} refused the registration: ${error.message}`, permanent };
}
