/* chat.h - chat templates, recognised by what is typical of their text. */
#ifndef LINN_TOKENIZER_CHAT_H
#define LINN_TOKENIZER_CHAT_H

#include "gguf/gguf.h"

typedef struct linn_chat_style linn_chat_style;

/* What a tokenizer keeps of its file's template. */
typedef struct linn_chat {
    const linn_chat_style *style; /* a constant; NULL: none, or none that linn knows */
    char start[64];               /* of the template, for the message when it is not known */
} linn_chat;

int linn_chat_read(linn_chat *chat, const linn_file *f, linn_error *err);

#endif
