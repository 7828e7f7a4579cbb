// xxHash: content digests and prefix hashes (never a security boundary). Imported by Platform only.
#pragma once
#include <xxhash.h>
