import type { ProvidedContext } from "vitest";

declare module "vitest" {
  /** What global-setup.ts hands over to the tests. */
  interface ProvidedContext {
    /** Vars and secrets of the Worker. */
    workerBindings: Record<string, string>;
    /** Access tokens that the identity service signed, each with one thing wrong with it, by what that is. */
    badTokens: Record<string, string>;
    /** Where the stand-ins for other providers make tickets and tokens. */
    identityStandIns: { steamUrl: string; epicUrl: string };
  }
}

export type Provided = ProvidedContext;
