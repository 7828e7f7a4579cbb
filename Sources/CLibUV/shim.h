// libuv: event loop, TCP, timers, signals. Imported by Reactor only.
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <uv.h>

// uv_loop_configure is variadic, which Swift cannot call.
static inline int clibuv_measure_idle_time(uv_loop_t *loop) { return uv_loop_configure(loop, UV_METRICS_IDLE_TIME); }

// The version of the header this was compiled with; the library's own is uv_version().
static inline unsigned clibuv_compiled_version(void) { return UV_VERSION_HEX; }
