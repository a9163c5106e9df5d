"""What a validated address is good for; one that was validated for one purpose is no good for another.

https://spec.matrix.org/v1.19/client-server-api/#adding-account-administrative-contact-information
"""

from __future__ import annotations

from typing import Final

#: To make an account with it.
REGISTER: Final = "register"
#: To add it to an account.
ADD: Final = "add"
#: To set a new password for the account that has it.
RESET: Final = "reset"

# What a message says instead, where there is nothing to confirm.
IN_USE: Final = "in_use"
NOT_FOUND: Final = "not_found"
