CREATE TABLE `bans` (
	`id` text PRIMARY KEY NOT NULL,
	`player_id` text NOT NULL,
	`reason` text NOT NULL,
	`note` text NOT NULL,
	`until` integer,
	`banned_at` integer NOT NULL,
	`banned_by` text NOT NULL,
	`lifted_at` integer,
	`lifted_by` text
);
--> statement-breakpoint
CREATE INDEX `bans_by_player` ON `bans` (`player_id`,`banned_at`);--> statement-breakpoint
CREATE INDEX `bans_by_time` ON `bans` (`banned_at`,`id`);--> statement-breakpoint
CREATE TABLE `signing_keys` (
	`kid` text PRIMARY KEY NOT NULL,
	`record` text NOT NULL,
	`version` integer NOT NULL,
	`copied_at` integer NOT NULL,
	`dropped_at` integer
);
