CREATE TABLE `allocations` (
	`reservation_id` text PRIMARY KEY NOT NULL,
	`player_id` text NOT NULL,
	`cluster_id` text NOT NULL,
	`cluster_name` text NOT NULL,
	`region` text NOT NULL,
	`generation` integer NOT NULL,
	`allocated_at` integer NOT NULL,
	`expires_at` integer,
	`joined_at` integer,
	`left_at` integer
);
--> statement-breakpoint
CREATE INDEX `allocations_by_player` ON `allocations` (`player_id`,`allocated_at`);--> statement-breakpoint
CREATE INDEX `allocations_by_cluster` ON `allocations` (`cluster_id`,`allocated_at`);--> statement-breakpoint
CREATE INDEX `allocations_by_time` ON `allocations` (`allocated_at`);--> statement-breakpoint
CREATE TABLE `cluster_events` (
	`event_id` text PRIMARY KEY NOT NULL,
	`cluster_id` text NOT NULL,
	`event` text NOT NULL,
	`cluster_name` text NOT NULL,
	`shard` text NOT NULL,
	`boot` integer NOT NULL,
	`at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `cluster_events_by_cluster` ON `cluster_events` (`cluster_id`,`at`);--> statement-breakpoint
CREATE INDEX `cluster_events_by_time` ON `cluster_events` (`at`);--> statement-breakpoint
CREATE TABLE `erased_players` (
	`id` text PRIMARY KEY NOT NULL,
	`erased_at` integer NOT NULL
);
