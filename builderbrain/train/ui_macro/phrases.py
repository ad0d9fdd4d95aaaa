"""How people say what is to be done with the pages of a site. The language of the tables: `builderbrain.train.spoken.templates`."""

# ruff: noqa: E501 - tables of phrases
from __future__ import annotations

from builderbrain.train.spoken import Templates

PHRASES = {
    "open": Templates("""
        (open|visit|load|show|call up) (the page|page|) {page}
        (go|navigate|browse|switch|jump) to (the page|page|) {page}
        (start|begin) (at|on|with) (the page|) {page}
        (bring|pull) up (the page|) {page}
        (take|bring) me to {page}
        ~I (want|need) (the page|) {page}
        ~the page is {page}
    """),
    "click": Templates("""
        (click|click on|press|hit|push) {name}
        (click|click on|press|hit|push|use) the {role} {name}
        (click|click on|press|push) the {name} {role}
        (click|press) on the {role} (called|named|with the name) {name}
        ~the {role} {name} (should|must|has to) be (clicked|pressed)
        give the {role} {name} a (click|push)
    """),
    "follow": Templates("""
        (follow|click|take|click on|use) the link {name}
        (follow|click|click on) the {name} link
        (go|jump) (through|along) the link {name}
        follow {name}
    """),
    "tick": Templates("""
        (tick|check|click|toggle) the (checkbox|box) {name}
        (tick|toggle) {name}
        (put|set) a tick (at|on|in) {name}
        ~the (checkbox|box) {name} (should|must) be (ticked|toggled)
    """),
    "type": Templates("""
        (type|enter|write|put|fill) {text} (into|in) (the field|field|) {field}
        (fill|set) (the field|) {field} (with|to) {text}
        (fill in|fill out) {field} with {text}
        (put|type|enter) {text} (as|for) (the|) {field}
        (in|into) (the field|) {field} (type|write|enter|put) {text}
        ~(the field|) {field} (should|must) (be|hold|say) {text}
        ~{field} is {text}
    """),
    "clear": Templates("""
        (clear|empty|wipe|blank) (the field|) {field}
        (remove|delete) (what is|everything|all) in (the field|) {field}
        ~(the field|) {field} (should|must) be empty
    """),
    "type_title": Templates("""
        (type|enter|put|copy|write) (the title of the page|the page title|its title) (into|in) (the field|) {field}
        (fill|set) (the field|) {field} (with|to) (the title of the page|the page title)
    """),
    "copy": Templates("""
        (copy|put|type|enter) (what {name} shows|the value of {name}|the text of {name}) (into|in|to) (the field|) {field}
        (fill|set) (the field|) {field} (with|to) (what {name} shows|the value of {name}|the text of {name})
        (take|read) (the value of|the text of) {name} and (put|type|enter) it (into|in) (the field|) {field}
    """),
    "wait": Templates("""
        wait (for|until you see) {name}{wait}
        wait until {name} (is shown|appears|shows up|is there|comes up){wait}
        (give it|hold on|pause){wait} until {name} (is shown|appears|shows up)
        (wait|hold on){wait} (for|until) {name} (to appear|to show up|)
    """),
    "wait_role": Templates("""
        wait (for|until you see) the {role} {name}{wait}
        wait until the {role} {name} (is shown|appears|shows up|is there){wait}
        wait{wait} for the {role} {name}
        (hold on|pause){wait} until the {role} {name} (appears|is shown|shows up)
    """),
    "assert": Templates("""
        (check|make sure|verify|assert|confirm|see) (that|) {name} (is shown|is there|is on the page|is visible|shows)
        (look|check) (whether|if) {name} (is shown|is there)
        ~{name} (must|should|has to) be (shown|there|visible)
        (expect|demand) {name}
    """),
    "assert_state": Templates("""
        (check|make sure|verify|assert|confirm) (that|) the {role} {name} is {state}
        (check|see|look) (whether|if) the {role} {name} is {state}
        ~the {role} {name} (must|should|has to) be {state}
        (expect|demand) the {role} {name} to be {state}
    """),
    "assert_value": Templates("""
        (check|make sure|verify|assert|confirm) (that|) (the field|field) {name} (holds|contains|says|is) {value}
        (check|see|look) (whether|if) the field {name} (holds|contains|says) {value}
        ~the field {name} (must|should|has to) (hold|contain|say|be) {value}
    """),
    "look": Templates("""
        (say|tell me|show me|read out|report) what (is shown|is on the page|the page shows|you see)
        (look at|read|describe) (the page|what is shown)
        ~what (is on the page|does the page show|is shown)
        (have|take) a look at the page
    """),
    "if_shown_click": Templates("""
        if {name} (appears|shows up|is shown|comes up){wait}, (click|press|hit) {other}
        (click|press|hit) {other} if {name} (appears|shows up|is shown){wait}
        (wait|look){wait} for {name} and (click|press) {other} (if|only if) it (is shown|appears|shows up)
        (in case|when) {name} (appears|shows up|is shown){wait}, (click|press) {other}
    """),
    "if_not_shown_click": Templates("""
        if {name} (does not appear|does not show up|is not shown){wait}, (click|press|hit) {other}
        (click|press|hit) {other} (if {name} does not appear|unless {name} appears|unless {name} is shown){wait}
        (wait|look){wait} for {name} and if it (does not appear|is not shown), (click|press) {other}
    """),
}
"""By kind of clause."""

SUBJECTS = ("the browser", "the macro", "the robot", "the script")
WAIT = (
    " for {seconds} seconds",
    " for at most {seconds} seconds",
    " within {seconds} seconds",
    " for up to {seconds} seconds",
    " in {seconds} seconds",
    " no longer than {seconds} seconds",
)
ROLES = {"button": "button", "link": "link", "checkbox": "checkbox", "field": "field", "heading": "heading"}
NAMES = ("Save", "Send", "Next", "Back", "Cancel", "Delete {x}", "Add {x}", "Sign in", "Log out", "Pay now", "Search", "Submit", "Continue", "OK", "Accept", "{x}", "{x}", "{x} {y}", "New {x}", "Edit {x}", "Show {x}",
         "Confirm", "Order", "Download {x}", "{n}", "Settings", "My {x}", "Help", "Order {k}", "Accept the {x}", "Try again")  # fmt: skip
SHOWN = (
    "Saved",
    "Done",
    "Thank you",
    "Welcome {n}",
    "Error",
    "Your {x} is ready",
    "{x} saved",
    "No {x} found",
    "{x}",
    "{k} results",
    "Total",
    "The {x} was sent",
    "Order {k}",
    "Please wait",
    "{x} {y}",
    "Hello {n}",
    "Not found",
    "Price",
    "In stock",
)
FIELDS = (
    "Name",
    "Email",
    "Password",
    "Address",
    "City",
    "Street",
    "Phone",
    "Comment",
    "Search",
    "{x}",
    "{x}",
    "{x} {y}",
    "Quantity",
    "Date",
    "Subject",
    "First name",
    "Title",
    "Message",
    "Amount",
    "Number of {x}",
)
TEXTS = (
    "{n}",
    "{x}",
    "{x} {y}",
    "{n} {x}",
    "{k}",
    "{k}",
    "{x}@{y}.org",
    "the {x} and the {y}",
    "{n} would like the {x}",
    "{x} for {n}",
    "{h}",
    "please send the {x}",
)
