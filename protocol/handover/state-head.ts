/*
 * How a player's state begins, in a save and in a handover: a `u8` version, the placement (x, y, z as `f64`, heading as `u16`), the fragment as
 * `str8`. The rest is the clusters' alone; of the head the master reads the fragment. [ALLOC-16]
 */

/** The version that is written and read. */
export const stateVersion = 1;

/** Length of the placement. */
export const placementBytes = 26;
