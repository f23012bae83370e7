//! Instances at Amazon EC2 and what speaks its interface.
