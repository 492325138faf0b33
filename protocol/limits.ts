/**
 * Limits of protocol version 1, each with the attack that it stops. Units are in the names.
 * Spec: docs/PROTOCOL.md, sections 4 to 6.
 */
export const limits = {
  /** Longest HELLO frame (type and body). Stops an unknown peer from making the cluster hold memory. [FRAME-3] */
  maxHelloBytes: 256,
  /** Longest JOIN frame. Same attack; a ticket of full size fits. [FRAME-3] */
  maxJoinBytes: 4_096,
  /** Longest join ticket. Stops costly parsing before the signature is checked. [TICKET-1] */
  maxTicketBytes: 2_048,
  /** Bounds of how long a ticket can be used, whoever says how long. A cluster takes none that lives longer. [TICKET-7] [ALLOC-11] */
  minTicketLifetimeSeconds: 5,
  maxTicketLifetimeSeconds: 300,
  /** Longest client name in HELLO, in bytes of UTF-8. Stops log flooding. [HELLO-5] */
  maxClientNameBytes: 64,
  /** Longest frame at all: what a `u16` can announce. */
  maxFrameBytes: 65_535,
  /** Default for the longest frame that a joined client may send; a setting of the cluster. [FRAME-3] */
  defaultMaxClientFrameBytes: 16_384,
  /** Time for the TLS handshake. Stops sockets that are opened and left. [TLS-4] */
  handshakeTimeoutMs: 5_000,
  /** Time from the end of the handshake to a valid JOIN, absolute. Stops slow dripping. [JOIN-2] */
  joinTimeoutMs: 5_000,
  /** Longest resume token, in bytes. Stops a peer from making the other hold memory. [RESUME-2] */
  maxResumeTokenBytes: 64,
  /** Longest token of a handover, in bytes; ARRIVE has to fit the limit of JOIN. Stops costly parsing. [ARRIVE-1] */
  maxHandoverTokenBytes: 3_072,
  /** Requests of one side that may be open, or whose handler still runs. Stops a pile-up of work. [REQUEST-5] */
  maxPendingRequests: 64,
  /** Longest time that a request may be worked on, whatever its sender asks for. [REQUEST-3] */
  maxRequestMs: 60_000,
  /** Numbered frames received after which ACK is sent. [ACK-2] */
  ackFrames: 512,
  /** Bytes of numbered frames received after which ACK is sent. [ACK-2] */
  ackBytes: 49_152,
  /** Time after which a numbered frame is acknowledged along with whatever is sent. [ACK-2] */
  ackAlongMs: 250,
  /** Time after which it is acknowledged by itself; leaves some of the second for a late timer. [ACK-2] */
  ackDelayMs: 750,
  /** How far the clocks of master and cluster may differ. [TICKET-7] */
  clockSkewMs: 5_000,
} as const;
