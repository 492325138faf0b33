import type { ProvidedContext } from "vitest";

declare module "vitest" {
  /** What global-setup.ts hands over to the tests. */
  interface ProvidedContext {
    /** Vars and secrets of the Worker. */
    workerBindings: Record<string, string>;
    /** Access tokens that the identity service signed, each with one thing wrong with it, by what that is. */
    badTokens: Record<string, string>;
  }
}

export type Provided = ProvidedContext;
