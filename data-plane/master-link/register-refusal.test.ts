import { expect, it } from "vitest";
import { MasterError } from "./master-client.ts";
import { explainRefusal } from "./register-refusal.ts";

const about = { masterUrl: "https://m", keyId: "KEY", publicKeyFile: "keys/k.pub" };

it.each<[Error, boolean, string]>([
  [
    new MasterError("nothing listens there", 0, undefined),
    false,
    "master unreachable at https://m: nothing listens there",
  ],
  [new MasterError("it answered 503", 503, { code: "DATABASE_UNAVAILABLE" }), false, "refused the registration"],
  [new MasterError("it answered 429", 429, { code: "RATE_LIMITED" }), false, "refused the registration"],
  [new MasterError("it answered 401", 401, { code: "ASSERTION_REPLAYED" }), false, "refused the registration"],
  [
    new MasterError("it answered 422 INVALID_FIELD", 422, { code: "INVALID_FIELD" }),
    true,
    "it answered 422 INVALID_FIELD",
  ],
  [new MasterError("it answered 404", 404, undefined), true, "it answered 404"],
  [new MasterError("", 403, { code: "CLUSTER_KEY_UNKNOWN" }), true, "npx sustenet enrol --public-key keys/k.pub"],
  [new MasterError("", 403, { code: "CLUSTER_KEY_UNKNOWN" }), true, "key KEY"],
  [new MasterError("", 401, { code: "ASSERTION_INVALID" }), true, "clock is right"],
  [new Error("not as expected at boot"), true, "does not answer like a Sustenet master"],
])("explains %s, permanent: %s, by: %s", (error, permanent, text) => {
  const refusal = explainRefusal(error, about);
  expect(refusal.permanent).toBe(permanent);
  expect(refusal.text).toContain(text);
  expect(refusal.text).not.toContain("\n");
});
