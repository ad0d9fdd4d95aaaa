"""How people ask a shop of books for things. The language of the tables: `builderbrain.train.spoken.templates`."""

from __future__ import annotations

from builderbrain.train.spoken import Templates

PHRASES = {
    "search": Templates("""
        (search|look) for {genre}books{about}{price}{limit}
        (find|get|show me|list) {genre}books{about}{price}{limit}
        (search|go through|look through) the shop for {genre}books{about}{price}{limit}
        ~(which|what) {genre}books{about} (are there|do you have){price}{limit}
        ~I (want|would like|am looking for) {genre}books{about}{price}{limit}
        (see|check) what {genre}books{about} there are{price}{limit}
    """),
    "book_first": Templates("""
        (show me|read|open|get|tell me about) the first (book|one|of them|result)
        (show|give) me (more|all|what is known) (of|about) the first (book|one)
        ~what is known (of|about) the first (book|one)
    """),
    "book": Templates("""
        (show me|read|open|get|tell me about) (the book|book) {book}
        (show|give) me (more|all|what is known) (of|about) (the book|book) {book}
        ~what is known (of|about) (the book|book) {book}
        ~who wrote (the book|book) {book}
    """),
    "stock_first": Templates("""
        (see|check|find out|tell me) how many copies of (the first one|it|the first book) (are there|there are|you have)
        (check|look up) the stock of (the first one|it|the first book)
        ~how many copies of (the first one|the first book|it) are (there|in stock)
    """),
    "stock": Templates("""
        (see|check|find out|tell me) how many copies of (the book|book|) {book} (are there|there are|you have)
        (check|look up|get) the stock of (the book|book|) {book}
        ~how many copies of (the book|book) {book} are (there|in stock)
        ~is (the book|book) {book} (in stock|there)
    """),
    "orders": Templates("""
        (list|show me|get) (my|the|all) {status}orders{most}
        ~(which|what) {status}orders (are there|do I have){most}
        (give me|make) a list of {status}orders{most}
        (look|go) through (my|the) {status}orders{most}
    """),
    "order_first": Templates("""
        (show me|read|open|get) the (first|newest|latest) (order|of the orders)
        ~what is the (first|newest|latest) order
    """),
    "order_read": Templates("""
        (show me|read|open|get|look up) (the order|order) {order}
        ~what (about|is in|is the state of) (the order|order) {order}
    """),
    "buy": Templates("""
        (order|buy|get me|purchase) {copies}(the book|book) {book}{gift}{note}
        (make|place|put in) an order (for|of) {copies}(the book|book) {book}{gift}{note}
        ~I (want to|would like to) (order|buy) {copies}(the book|book) {book}{gift}{note}
    """),
    "buy_first": Templates("""
        (order|buy|get me|purchase) {copies}(the first one|the first book|the first result){gift}{note}
        (make|place|put in) an order (for|of) {copies}(the first one|the first book){gift}{note}
    """),
    "delivery": Templates("""
        (send|deliver|ship) (it|the order|that order) {method}
        (have|let) (it|the order) (be sent|be delivered|come) {method}
        ~(it|the order) (should|must|is to) (come|be sent|be delivered) {method}
    """),
    "delivery_of": Templates("""
        (send|deliver|ship) (the order|order) {order} {method}
        (have|let) (the order|order) {order} (be sent|be delivered|come) {method}
        ~(the order|order) {order} (should|must) (come|be sent|be delivered) {method}
        (change|set) the delivery of (the order|order) {order} to {method}
    """),
    "pay": Templates("""
        (pay|pay for|settle) (it|the order|that order){means}
        ~(it|the order) (is|should be|must be) paid{means}
        (make|do) the payment of (it|the order){means}
    """),
    "pay_of": Templates("""
        (pay|pay for|settle) (the order|order) {order}{means}
        ~(the order|order) {order} (should be|must be|is to be) paid{means}
        (make|do) the payment of (the order|order) {order}{means}
    """),
    "cancel": Templates("""
        (cancel|call off|stop|revoke) (the order|order) {order}
        ~(the order|order) {order} (is not wanted|should be cancelled|must be called off)
        ~I do not want (the order|order) {order} any more
    """),
    "cancel_first": Templates("""
        (cancel|call off|stop|revoke) the (first|newest|latest) (order|one|of them)
    """),
    "delete": Templates("""
        (delete|erase|remove) (the order|order) {order} (for good|for ever|)
        ~(the order|order) {order} (should be|must be) (deleted|erased)
    """),
    "if_stock_buy": Templates("""
        if (there are|you have) at least {least} copies of (the book|book) {book}, (order|buy) {copies}
        (check|look up) the stock of (the book|book) {book} and (order|buy) {copies} if there are at least {least}
        (order|buy) {copies} (if|only if) there are at least {least} copies of (the book|book) {book} in stock
    """),
    "if_price_buy": Templates("""
        if (the book|book) {book} costs (at most|no more than) {cents} cents, (order|buy) {copies}
        (order|buy) {copies} if (the book|book) {book} costs (at most|no more than) {cents} cents
        (look at|check) (the book|book) {book} and (order|buy) {copies} if it costs (at most|no more than) {cents} cents
    """),
    "if_first_price_buy": Templates("""
        (order|buy) {copies} if the first (one|book) costs (at most|no more than) {cents} cents
        if the first (one|book) costs (at most|no more than) {cents} cents, (order|buy) {copies}
    """),
}
"""By kind of clause."""

SUBJECTS = ("the assistant", "the shop", "the agent", "the clerk")
GENRES = {
    "novel": "novel ",
    "crime": "crime ",
    "poetry": "poetry ",
    "history": "history ",
    "science": "science ",
    "children": "children ",
}
ABOUT = (" about {query}", " on {query}", " by {query}", " with {query} in the title", " called {query}", " named {query}")
PRICE = (
    " for at most {cents} cents",
    " under {cents} cents",
    " up to {cents} cents",
    " for no more than {cents} cents",
    " that cost at most {cents} cents",
)
LIMIT = (", at most {count}", ", {count} of them", ", no more than {count}", ", up to {count} of them", ", only {count}")
STATUS = {"open": "open ", "paid": "paid ", "cancelled": "cancelled "}
GIFT = (" as a gift", " wrapped as a gift", ", gift wrapped", " as a present")
NOTE = (" with the note {note}", " and the words {note}", " saying {note}", ", note {note}", " with the words {note}")
METHODS = {
    "post": ("by post", "by mail", "with the post"),
    "courier": ("by courier", "with a courier"),
    "pickup": ("for pickup", "to be picked up"),
}
MEANS = {
    "card": (" by card", " with my card", " by credit card"),
    "account": (" from my account", ""),
    "invoice": (" by invoice", " against an invoice", " on invoice"),
}
QUERIES = ("{x}", "{x}", "{x} {y}", "{n}", "{n} {x}", "the {x} of {y}")
NOTES = (
    "For {n}",
    "Happy birthday, {n}",
    "From {n}",
    "Thank you for the {x}",
    "Enjoy the {x}",
    "{n} sends love",
    "With best wishes",
    "See you on {d}",
)
