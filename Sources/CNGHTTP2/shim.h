// nghttp2: HTTP/2 framing, HPACK, flow control. Imported by HTTP only.
// Debian 12 has 1.52: the "…2" family of calls does not exist there.
#pragma once
#include <nghttp2/nghttp2.h>
