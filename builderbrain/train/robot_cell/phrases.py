"""How people ask a robot cell for things. The language of the tables: `builderbrain.train.spoken.templates`."""

# ruff: noqa: E501 - tables of phrases
from __future__ import annotations

from builderbrain.train.spoken import Templates

PHRASES = {
    "look": Templates("""
        (look at|look into|inspect|view|watch|photograph|examine|scan) the {zone}
        (take|get|make|shoot|snap) (a|one) (picture|photo|shot|snapshot|image) of the {zone}
        (take|have) a (|quick|close) look (at|into) the {zone}
        see (what is|what lies|if anything is|whether something lies) (in|on) the {zone}
        (tell me|show me|find out|check|say) (whether|if) (a part|something|anything|a workpiece) (is|lies) (in|on) the {zone}
        (point|use) the camera (at|on|over) the {zone}
        check the {zone} (with the camera|for parts|for a part)
        ~is there (a part|something|anything|a workpiece) (in|on) the {zone}
        ~what (is|lies) (in|on) the {zone}
        ~I (want|need|would like) a (picture|photo|look) of the {zone}
        ~the {zone} (should|must|has to) be (looked at|photographed|inspected)
        ~the camera (should|must) (look at|check|inspect) the {zone}
    """),
    "look_two": Templates("""
        (look at|inspect|photograph|examine|scan|view) the {zone} and the {other}
        (look at|inspect|check) both the {zone} and the {other}
        (take|get|make) (pictures|photos|images) of the {zone} and (of|) the {other}
        see what (is|lies) (in|on) the {zone} and (in|on) the {other}
        ~I (want|need) (pictures|photos) of the {zone} and the {other}
    """),
    "move": Templates("""
        (go|move|drive|travel|head|come) (to|over to) the {zone}{point}{speed}
        (go|move|drive|travel)(| along) to the {zone}{speed}{point}
        (move|bring|drive|send|take|steer) the (arm|robot|tool|gripper) (to|over|over to|above) the {zone}{point}{speed}
        (position|park|place|put) the (arm|robot|tool) (at|over|above) the {zone}{point}{speed}
        (approach|visit) the {zone}{point}{speed}
        (hover|wait) (over|above) the {zone}{point}{speed}
        ~the (arm|robot|tool) (should|must|has to|is to) (go|move|drive) to the {zone}{point}{speed}
        ~I (want|need) the (arm|robot|tool) (at|over|above) the {zone}{point}{speed}
    """),
    "pick": Templates("""
        (pick|pick up|grab|take|fetch|lift|collect|get|remove) (the|a|one) {part} (from|off|out of|in|on) the {zone}{point}{wide}{grip}
        (pick|grab|take|lift|fetch) (the|a) {part} (up|out) (from|of|off) the {zone}{point}{grip}{wide}
        (pick up|take|grab) (from|off) the {zone}{point}{wide}{grip}
        (pick|grip|grab|lift) (what is|what lies) (in|on) the {zone}{point}{grip}{wide}
        (go|move) to the {zone} and (pick up|take|grab|lift) (the|a) {part}{point}{wide}{grip}
        ~I (want|need) (the|a) {part} (from|out of) the {zone}{point}{wide}{grip}
        ~the {part} (in|on|from) the {zone}{point} (should|must|has to) be (picked up|picked|taken|lifted){grip}{wide}
    """),
    "pick_seen": Templates("""
        (find|locate|look for|search for|spot) (the|a) {part} (in|on) the {zone} and (pick it up|pick it|take it|grab it|grip it|lift it){grip}
        (pick up|pick|grab|take|fetch) (the|a) {part} (in|on|from) the {zone} (where the camera sees it|where you see it|where it lies|wherever it lies|with the camera){grip}
        use the camera (to|and) (find|pick|grab|locate) (the|a) {part} (in|on|from) the {zone}{grip} and (pick it up|lift it|take it)
        (look where|see where) (the|a) {part} (is|lies) (in|on) the {zone} and (pick it up|pick it|take it|grab it|lift it){grip}
        ~the {part} (in|on) the {zone} (should|must) be (found|located) and (picked up|taken|lifted){grip}
    """),
    "transport": Templates("""
        (move|bring|carry|transfer|transport|shift|take) (the|a|one) {part} from the {zone}{grip} (to|into|onto|over to) the {other}
        (bring|carry|take|move|transfer) (the|a) {part} (in|on) the {zone} (to|into|over to) the {other}{grip}
        (get|fetch|pick up) (the|a) {part} from the {zone}{grip} and (put|place|set|drop) it (in|on|into|onto|in) the {other}
        ~the {part} (in|on) the {zone} (belongs|goes|must go|should go) (in|into|on|onto|to) the {other}{grip}
        ~I (want|need) the {part} from the {zone} (in|on|moved to) the {other}{grip}
    """),
    "place": Templates("""
        (put|place|set|lay|drop|leave) (it|the {part}) (down |)(on|in|into|onto|at) the {zone}{point}{press}
        (deliver|bring|carry|take|move) (it|the {part}) to the {zone}{point}{press}
        (put|set|lay) (it|the {part}) down{press} (in|on) the {zone}{point}
        (unload|deposit) (it|the {part}) (in|on|at) the {zone}{point}{press}
        ~(it|the {part}) (goes|belongs|must go|should go) (in|into|on|onto|to) the {zone}{point}{press}
    """),
    "discard": Templates("""
        (throw|toss|chuck) (it|the {part}) away
        (discard|scrap|trash|dispose of|get rid of|reject) (it|the {part})
        (throw|drop|dump|toss) (it|the {part}) (for good|) (in|into) the {zone} (for good|as scrap)
        (discard|scrap|trash|dump) (it|the {part}) (in|into) the {zone}
        ~(it|the {part}) is (scrap|waste|rubbish)
    """),
    "rotate": Templates("""
        (turn|rotate|twist|swivel) the (wrist|gripper|hand|tool) to {angle} (degrees|deg)
        (turn|rotate|twist) (to|it to) {angle} (degrees|deg)
        (set|bring) the (wrist|gripper|hand) (to|at) (an angle of|) {angle} (degrees|deg)
        ~the (wrist|gripper) (should|must) (turn|be turned|be) (to|at) {angle} (degrees|deg)
    """),
    "grasp": Templates("""
        (close|shut) the (gripper|fingers|hand){grip}{wide}
        (grip|grasp|clamp) (the {part}|it|what is there) (right here|where you are|here){grip}{wide}
        (close|shut) the (gripper|fingers) on the {part}{wide}{grip}
    """),
    "release": Templates("""
        (open|release) the (gripper|fingers|hand)
        let (it|the {part}) go
        let go of (it|the {part})
        release (it|the {part}) (here|where you are|)
        ~the (gripper|hand) (should|must) open
    """),
    "check": Templates("""
        (check|see|find out|test) (whether|if) (there is a|the) (route|way|path) to the {zone}{point} (is free|is clear|exists|)
        (look|search) for a (free|clear|) (route|way|path) to the {zone}{point}
        (check|test|plan|find) (a|the) (free|clear|) (route|way|path) to the {zone}{point}
        (check|see) (whether|if) (the arm|you) (can reach|could reach|can get to|could get to) the {zone}{point}
        ~(can|could) the arm (reach|get to) the {zone}{point}
        ~is (there a|the) (free|clear|) (route|way|path) to the {zone}{point} (free|clear|)
    """),
    "stop": Templates("""
        stop (the arm|the robot|everything|the drives|at once|all motion|moving)
        (halt|freeze) (the arm|the robot|everything|the drives)
        ~(the arm|everything|the robot) (must|has to|should) stop
    """),
    "safe_pose": Templates("""
        (go|move|drive|return) (to|into) the safe (pose|position)
        (take|assume) the safe (pose|position)
        (bring|put|move) the (arm|robot) (to|into) (the|its) safe (pose|position)
        ~the (arm|robot) (should|must) (go|move) to the safe (pose|position)
    """),
    "resume": Templates("""
        (let|make) the drives run again
        (resume|restart|release|start) the drives
        (switch|turn) the drives (back|) on (again|)
        ~the drives (should|may|can) run again
    """),
    "if_part_pick": Templates("""
        if (there is|you see|the camera sees) (a|any) {part} (in|on) the {zone}, (pick it up|pick it|take it|grab it|lift it){grip}
        (pick up|pick|grab|take|lift) (the|a) {part} (in|on|from) the {zone}{grip} if (there is one|one is there|one lies there|you see one)
        (look at|check|inspect) the {zone} and if (a {part} is|a {part} lies|one is) there (pick it up|pick it|take it|grab it){grip}
        (look at|check|inspect) the {zone} and (pick up|grab|take) (the|a) {part} only if (there is one|you see one){grip}
    """),
    "if_part_else_look": Templates("""
        if (there is|you see) (a|any) {part} (in|on) the {zone}, (pick it up|pick it|take it|grab it){grip}, (otherwise|else|if not) (look at|inspect|check) the {other}
        (look at|check) the {zone} and if (a {part} is|a {part} lies) there (pick it up|take it|grab it){grip}, (otherwise|else|if not) (look at|inspect|photograph) the {other}
    """),
    "if_person_stop": Templates("""
        if (a person|somebody|someone|anybody) (is in|reaches into|stands in|has a hand in) the {zone}, (stop|stop at once|halt)
        (look at|check|inspect) the {zone} and (stop|halt) if (a person|somebody|someone) (is|reaches|stands) there
        (stop|halt) if (a person|somebody|someone|anybody) (is in|reaches into|is at) the {zone}
        (stop|halt) if you see (a person|somebody|someone) (in|at) the {zone}
    """),
    "if_nobody_move": Templates("""
        if (nobody|no person|no one) (is in|reaches into|is at) the {zone}, (go|move|drive) (there|to it)
        (go|move|drive) to the {zone} if (nobody|no person|no one) (is there|reaches into it)
        (look at|check|inspect) the {zone} and (go|move|drive) there (only if|if) (nobody|no person|no one) is (there|in it)
    """),
    "if_clear_move": Templates("""
        (go|move|drive) to the {zone}{point} (only if|if) the (route|way|path) (has|leaves) (at least|no less than) {clear} mm of (clearance|room|space)
        if the (route|way|path) to the {zone}{point} (has|leaves) at least {clear} mm of (clearance|room|space), (go|move|drive) there
        (check|test) the (route|way|path) to the {zone}{point} and (go|move|drive) there if (it has|there are) at least {clear} mm of (clearance|room|space)
    """),
    "if_heavy_place": Templates("""
        if it weighs (more than|over) {weight} (g|grams), (put|place|set|drop) it (in|on|into) the {zone}
        (put|place|set) it (in|on|into) the {zone} (if|only if) it (weighs|is) (more than|over) {weight} (g|grams)
        if it is heavier than {weight} (g|grams), (put|place|set|bring) it (in|on|into|to) the {zone}
        (put|place|set) it (in|on|into) the {zone} if it is heavier than {weight} (g|grams)
    """),
}
"""By kind of clause."""

PARTS = ("part", "part", "part", "piece", "workpiece", "component", "block", "cube", "thing")

POINT = (" at x {x} and y {y}", " at x {x}, y {y}", " at {x}, {y}", " at ({x}, {y})", " at position {x}, {y}", " at the point {x}, {y}", " at x={x}, y={y}",
         " at x {x} mm and y {y} mm", ", {x} mm across and {y} mm along,", " at coordinates {x} and {y}")  # fmt: skip
X_ALONE = (" at x {x}", " with x {x}", " at x={x}", " at x {x} mm")
Y_ALONE = (" at y {y}", " with y {y}", " at y={y}", " at y {y} mm")
HEIGHT = (" at a height of {height} mm", " {height} mm above the surface", " {height} mm high", " {height} mm up", " at height {height}", " at {height} mm height")
SPEED = (" at {speed} mm/s", " at a speed of {speed} mm/s", " with {speed} mm/s", " with a speed of {speed} mm per second", " at {speed} mm per second", " no faster than {speed} mm/s", " at speed {speed}")
GRIP = (" with {force} N", " with {force} newtons", " with a force of {force} N", " using {force} N", " at {force} N", " with {force} newton", " with a grip of {force} N",
        " and grip with {force} N", " with a grip force of {force} N", ", gripping with {force} N", ", force {force} N", " using a force of {force} newtons")  # fmt: skip
WIDE = (" {width} mm wide", ", which is {width} mm wide", ", {width} mm wide,", " of {width} mm width", " (width {width} mm)", " with a width of {width} mm", ", width {width} mm,")
PRESS = (" with {press} N", " with at most {press} N", " pressing with {press} N", " with no more than {press} N", " using at most {press} N", " with a force of {press} N", " gently with {press} N")
