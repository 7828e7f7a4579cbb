// utf8proc: Unicode normalisation forms. Imported by Tokenization only.
#pragma once
#include <utf8proc.h>
