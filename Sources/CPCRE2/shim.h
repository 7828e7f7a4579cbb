// PCRE2 (8 bit, JIT): the regular expressions of tokenisers. Imported by Tokenization only.
#pragma once
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
