// libuv: event loop, TCP, timers, signals. Imported by Reactor only.
#pragma once
#include <uv.h>
