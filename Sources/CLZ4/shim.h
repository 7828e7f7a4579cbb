// LZ4 blocks: a coder of KV symbols. Imported by KVCodec only.
#pragma once
#include <lz4.h>
