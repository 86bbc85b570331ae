# A VPC over three zones. Members live in private subnets, and reach AWS through endpoints, not through the internet.

locals {
  subnets = { for number, zone in var.zones : zone => cidrsubnet(var.vpc_cidr, 4, number) }

  # What members and the controller ask: EC2 for peers, volumes and instances; STS for whose credentials they have;
  # SSM for secrets and for sessions in place of ssh; Auto Scaling where a group is adopted.
  endpoints = setunion(
    ["ec2", "sts", "ssm", "ssmmessages"],
    var.auto_scaling_group == null ? [] : ["autoscaling"],
  )
}

resource "aws_vpc" "this" {
  cidr_block           = var.vpc_cidr
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = { Name = var.cluster }
}

# Whatever names no security group gets this one, and reaches nobody.
resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.this.id
}

resource "aws_subnet" "member" {
  for_each = local.subnets

  vpc_id                  = aws_vpc.this.id
  availability_zone       = each.key
  cidr_block              = each.value
  map_public_ip_on_launch = false

  tags = { Name = "${var.cluster}-${each.key}" }
}

resource "aws_route_table" "member" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.cluster}-members" }
}

resource "aws_route_table_association" "member" {
  for_each = aws_subnet.member

  subnet_id      = each.value.id
  route_table_id = aws_route_table.member.id
}

resource "aws_vpc_endpoint" "aws" {
  for_each = local.endpoints

  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.${var.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = [for zone in coalesce(var.endpoint_zones, var.zones) : aws_subnet.member[zone].id]
  security_group_ids  = [aws_security_group.endpoint.id]

  tags = { Name = "${var.cluster}-${each.key}" }

  # Its interfaces have addresses that EC2 chooses.
  depends_on = [aws_ec2_subnet_cidr_reservation.fixed]
}

# The way out, if one is wanted. One gateway: should its zone fail, the controller cannot pull until it is back, and
# members notice nothing.

resource "aws_internet_gateway" "out" {
  count = var.nat_gateway ? 1 : 0

  vpc_id = aws_vpc.this.id

  tags = { Name = var.cluster }
}

resource "aws_subnet" "public" {
  count = var.nat_gateway ? 1 : 0

  vpc_id                  = aws_vpc.this.id
  availability_zone       = var.zones[0]
  cidr_block              = cidrsubnet(var.vpc_cidr, 4, 15)
  map_public_ip_on_launch = false

  tags = { Name = "${var.cluster}-public" }
}

resource "aws_route_table" "public" {
  count = var.nat_gateway ? 1 : 0

  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.cluster}-public" }
}

resource "aws_route_table_association" "public" {
  count = var.nat_gateway ? 1 : 0

  subnet_id      = aws_subnet.public[0].id
  route_table_id = aws_route_table.public[0].id
}

resource "aws_route" "public" {
  count = var.nat_gateway ? 1 : 0

  route_table_id         = aws_route_table.public[0].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.out[0].id
}

resource "aws_eip" "nat" {
  # checkov:skip=CKV2_AWS_19: it belongs to the NAT gateway below, which is no instance
  count = var.nat_gateway ? 1 : 0

  domain = "vpc"

  tags = { Name = "${var.cluster}-nat" }
}

resource "aws_nat_gateway" "out" {
  count = var.nat_gateway ? 1 : 0

  allocation_id = aws_eip.nat[0].id
  subnet_id     = aws_subnet.public[0].id

  tags = { Name = var.cluster }

  depends_on = [aws_route.public]
}

resource "aws_route" "nat" {
  count = var.nat_gateway ? 1 : 0

  route_table_id         = aws_route_table.member.id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.out[0].id
}
