import { logEvent } from "../../log.ts";
import { DatabaseError } from "../../store/database.ts";
import { ProblemError } from "../problem.ts";

/** Reads what is on record. @throws ProblemError `DATABASE_UNAVAILABLE` */
export async function askRecords<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    logEvent("warn", "history.unavailable", { error });
    throw new ProblemError("DATABASE_UNAVAILABLE", "What is on record cannot be read now. Try again shortly.", {
      retryAfterSeconds: 5,
    });
  }
}
