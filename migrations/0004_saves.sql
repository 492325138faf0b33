CREATE TABLE `player_saves` (
	`player_id` text PRIMARY KEY NOT NULL,
	`generation` integer NOT NULL,
	`version` integer NOT NULL,
	`state` text NOT NULL,
	`saved_at` integer NOT NULL
);
