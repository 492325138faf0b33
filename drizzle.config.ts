import { defineConfig } from "drizzle-kit";

/** `npm run migrations:generate` compares the schema with `migrations/` and writes what is new. Needs no database. */
export default defineConfig({
  dialect: "turso",
  schema: "./control-plane/store/schema.ts",
  out: "./migrations",
});
