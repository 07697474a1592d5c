/**
 * How our gRPC clients keep their connections.
 *
 * By themselves they wait ever longer before they connect anew, up to two minutes, and use a connection that died without
 * a word until TCP gives it up, which takes a quarter of an hour. Pings are sent only while a call is under way.
 */
export const CHANNEL_OPTIONS = {
  'grpc.max_reconnect_backoff_ms': 2_000,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 5_000,
}
